/** The entry point of the page: makes the model and mounts the views on it. */

import 'uplot/dist/uPlot.min.css';
import './style/base.css';
import './style/layout.css';
import './style/controls.css';
import './style/panels.css';

import { Connection } from './model/connection.js';
import { Lines } from './model/lines.js';
import { PathMaintainer } from './model/pathMaintainer.js';
import { Traffic } from './model/traffic.js';
import { mountDatagrams } from './view/datagrams.js';
import { mountLatency } from './view/latency.js';
import { mountLines } from './view/lines.js';
import { mountLog } from './view/log.js';
import { mountPool } from './view/pool.js';
import { mountRateChart } from './view/rateChart.js';
import { mountStatus } from './view/status.js';
import { mountTheme } from './view/theme.js';
import { mountTransfer } from './view/transfer.js';
import { checkSupport } from './view/unsupported.js';

mountTheme();
if (checkSupport()) start();

function start(): void {
  const lines = new Lines();
  const connection = new Connection();
  const maintainer = new PathMaintainer(connection, lines);
  const traffic = new Traffic(connection, lines);
  mountStatus(connection, maintainer, lines);
  mountRateChart(traffic);
  mountLines(lines, traffic);
  mountTransfer(connection, lines);
  mountLatency(connection);
  mountDatagrams(connection);
  mountPool(connection, lines);
  mountLog(connection, lines);
  // The first time that there are lines, there is a session to open; later on a button does it.
  const stopWaiting = lines.changed.subscribe(() => {
    if (lines.all.length === 0) return;
    stopWaiting();
    maintainer.connect();
  });
  void lines.watch();
  // A page that is left says so, and does not leave the server waiting for it.
  addEventListener('pagehide', () => connection.close());
}
