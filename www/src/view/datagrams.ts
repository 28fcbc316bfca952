/** The datagram panel. */

import { formatCount, formatMs } from '../logic/format.js';
import type { Connection } from '../model/connection.js';
import { DatagramProbe } from '../model/datagrams.js';
import { part, setText } from './parts.js';

const SHOW_MS = 250;

export function mountDatagrams(connection: Connection): void {
  const button = part<HTMLButtonElement>('datagram-start');
  const rate = part<HTMLSelectElement>('datagram-rate');
  let probe: DatagramProbe | undefined;
  let isRunning = false;

  const apply = () => {
    const { kwik } = connection;
    if (isRunning && !kwik) isRunning = false;
    if (isRunning && kwik) probe ??= new DatagramProbe(kwik);
    probe?.setRate(isRunning ? Number(rate.value) : 0);
    button.setAttribute('aria-pressed', String(isRunning));
    setText(button, isRunning ? 'Stop' : 'Start');
    button.disabled = !kwik;
  };
  const show = () => {
    if (!probe) return;
    setText(part('datagram-sent'), formatCount(probe.tally.sent));
    setText(part('datagram-returned'), formatCount(probe.tally.returned));
    setText(part('datagram-lost'), formatCount(probe.tally.lost));
    const median = probe.latencies.percentile(0.5);
    setText(part('datagram-rtt'), median === undefined ? '–' : formatMs(median));
  };
  button.addEventListener('click', () => {
    isRunning = !isRunning;
    apply();
  });
  rate.addEventListener('change', apply);
  connection.changed.subscribe(() => {
    // Each session has datagrams of its own.
    if (connection.phase === 'connecting') probe = undefined;
    apply();
  });
  setInterval(show, SHOW_MS);
  apply();
}
