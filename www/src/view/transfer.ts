/** The file transfer's buttons, progress and result. */

import { formatBytes, formatMs, formatRate, formatSeconds } from '../logic/format.js';
import { type Connection, messageOf } from '../model/connection.js';
import type { Lines } from '../model/lines.js';
import { type Progress, type Sums, Transfer } from '../model/transfer.js';
import { part, setText } from './parts.js';

const SHOW_MS = 200;
const MB = 1_000_000;
const UPLOAD_NAME = 'from-the-page';

type Begin = () => { transfer: Transfer; sums: Promise<Sums> };

export function mountTransfer(connection: Connection, lines: Lines): void {
  const file = part<HTMLInputElement>('upload-file');
  let current: Transfer | undefined;

  const run = async (verb: string, begin: Begin) => {
    if (current) return;
    const { transfer, sums } = begin();
    current = transfer;
    setRunning(true);
    const showing = setInterval(() => showProgress(verb, transfer.progress()), SHOW_MS);
    showProgress(verb, transfer.progress());
    try {
      showResult(await sums, transfer.progress());
    } catch (error) {
      if (transfer.isCancelled) showStatus('cancelled', 'Cancelled.');
      else showStatus('failed', `Failed: ${messageOf(error)}`);
    } finally {
      clearInterval(showing);
      current = undefined;
      setRunning(false);
    }
  };

  part('download').addEventListener('click', () => {
    const { kwik } = connection;
    if (kwik) void run('Downloading', () => Transfer.download(kwik, fileOf(lines, chosenBytes())));
  });
  part('upload').addEventListener('click', () => {
    const { kwik } = connection;
    if (kwik) void run('Uploading', () => Transfer.upload(kwik, UPLOAD_NAME, chosenBytes()));
  });
  file.addEventListener('change', () => {
    const { kwik } = connection;
    const [picked] = file.files ?? [];
    if (kwik && picked) void run('Uploading', () => Transfer.upload(kwik, UPLOAD_NAME, picked));
    // The same file may be picked again.
    file.value = '';
  });
  part('transfer-cancel').addEventListener('click', () => current?.cancel());
  const showUsable = () => setUsable(connection.kwik !== undefined && !current);
  connection.changed.subscribe(showUsable);
  showUsable();

  function setRunning(isRunning: boolean): void {
    const cancel = part('transfer-cancel');
    const hadFocus = document.activeElement === cancel;
    cancel.hidden = !isRunning;
    showUsable();
    if (isRunning) part('transfer-result').hidden = true;
    else if (hadFocus) part('download').focus();
  }
}

function setUsable(isUsable: boolean): void {
  for (const name of ['download', 'upload', 'upload-file']) {
    part<HTMLButtonElement | HTMLInputElement>(name).disabled = !isUsable;
  }
}

function chosenBytes(): number {
  const chosen = document.querySelector<HTMLInputElement>('input[name="size"]:checked');
  return Number(chosen?.value ?? 100) * MB;
}

/** The server's file of this size, if there is one. */
function fileOf({ demo }: Lines, bytes: number): string {
  const file = demo?.files?.find(({ size }) => size === bytes) ?? demo?.file;
  return file?.name ?? 'noise';
}

function showStatus(state: string, text: string): void {
  const status = part('transfer-status');
  status.dataset.state = state;
  setText(status, text);
}

function showProgress(verb: string, { doneBytes, totalBytes, rate, elapsedMs, stallMs }: Progress): void {
  part<HTMLProgressElement>('transfer-progress').value = totalBytes > 0 ? doneBytes / totalBytes : 0;
  const share = totalBytes > 0 ? `${Math.floor((doneBytes / totalBytes) * 100)} %` : '0 %';
  const figures = [
    `${verb}: ${share} of ${formatBytes(totalBytes)}`,
    formatRate(rate),
    formatSeconds(elapsedMs),
    `longest stall ${formatMs(stallMs)}`,
  ];
  showStatus('running', figures.join(' · '));
}

function showResult({ page, server }: Sums, { doneBytes, elapsedMs, stallMs }: Progress): void {
  part<HTMLProgressElement>('transfer-progress').value = 1;
  const rate = formatRate((doneBytes * 1000) / elapsedMs);
  const figures = [
    `Done: ${formatBytes(doneBytes)} in ${formatSeconds(elapsedMs)}`,
    rate,
    `longest stall ${formatMs(stallMs)}`,
  ];
  showStatus('done', figures.join(' · '));
  setText(part('sum-page'), page);
  setText(part('sum-server'), server);
  const verdict = part('transfer-sum');
  const word = page === server ? 'equal' : 'different';
  verdict.dataset.state = word;
  part('transfer-result').hidden = false;
  setText(verdict, word);
}
