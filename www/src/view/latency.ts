/** The ping-pong panel. */

import { formatCount, formatMs } from '../logic/format.js';
import { LatencyHistogram } from '../logic/histogram.js';
import { type Connection, messageOf } from '../model/connection.js';
import { PingPong } from '../model/ping.js';
import { mountLatencyChart } from './latencyChart.js';
import { part, setText } from './parts.js';

const SHOW_MS = 500;

export function mountLatency(connection: Connection): void {
  const button = part<HTMLButtonElement>('ping-start');
  const hint = part('ping-hint');
  const calmHint = hint.textContent;
  const histogram = new LatencyHistogram();
  const drawChart = mountLatencyChart(histogram);
  let current: PingPong | undefined;

  const show = () => {
    setText(part('ping-p50'), shown(histogram.percentile(0.5)));
    setText(part('ping-p99'), shown(histogram.percentile(0.99)));
    setText(part('ping-max'), shown(histogram.count > 0 ? histogram.maxMs : undefined));
    setText(part('ping-count'), formatCount(histogram.count));
    drawChart();
  };
  const showRunning = () => {
    button.setAttribute('aria-pressed', String(current !== undefined));
    setText(button, current ? 'Stop' : 'Start');
    button.disabled = !current && !connection.kwik;
  };
  const start = async () => {
    const { kwik } = connection;
    if (!kwik) return;
    histogram.clear();
    setText(hint, calmHint);
    const ping = (current = new PingPong(histogram));
    const showing = setInterval(show, SHOW_MS);
    showRunning();
    try {
      await ping.run(kwik);
    } catch (error) {
      setText(hint, `Stopped: ${messageOf(error)}`);
    }
    clearInterval(showing);
    show();
    if (current === ping) current = undefined;
    showRunning();
  };
  button.addEventListener('click', () => {
    if (current) current.stop();
    else void start();
  });
  connection.changed.subscribe(showRunning);
  showRunning();
}

function shown(ms: number | undefined): string {
  return ms === undefined ? '–' : formatMs(ms);
}
