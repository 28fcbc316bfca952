//! The worker pool is there while anybody needs it. A program of its own: it looks at the whole process.

mod support;

use kwik::Config;
use support::*;

fn worker_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("kwik-worker")).count()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_worker_threads_are_gone_after_their_last_user_and_come_back_for_the_next() {
    within_patience(async {
        for _ in 0..2 {
            let listener = listen_on(1, server_config()).await;
            let url = &listener.urls()[0];
            let (client, server) = tokio::join!(kwik::dial(url, Config::default()), listener.accept());
            let (client, server) = (client.unwrap(), server.unwrap());
            // A thread has its name once it has begun to run.
            while worker_threads() < 4 {
                tokio::task::yield_now().await;
            }
            drop(listener);
            assert!(worker_threads() >= 4, "two sessions still need them");
            drop((client, server));
            while worker_threads() > 0 {
                tokio::task::yield_now().await;
            }
            assert_eq!(kwik::stats().workers.workers, 0);
        }
    })
    .await;
}
