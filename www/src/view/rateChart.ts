/** The stacked chart of what each line carried, with what happened to the lines. */

import uPlot from 'uplot';
import { WINDOW_S } from '../logic/history.js';
import { lineLetter, lineName } from '../logic/names.js';
import { nowS, type Mark, type Traffic } from '../model/traffic.js';
import { colour, lineProperty, translucent } from './colours.js';
import { part } from './parts.js';
import { themeChanged } from './theme.js';

const BYTES_TO_MBIT = 8 / 1e6;
/** With less than this on the lines, the chart does not magnify what is there. */
const LEAST_TOP_MBIT = 10;
/** How often the chart moves for those who want little motion. */
const CALM_MS = 1000;
const FILL_PERCENT = 45;
const TICK_S = 15;
/** What happens to several lines within this time is one mark. */
const SAME_S = 0.4;

export function mountRateChart(traffic: Traffic): void {
  const host = part('rate-chart');
  const calm = matchMedia('(prefers-reduced-motion: reduce)');
  let chart: uPlot | undefined;
  let lineCount = 0;
  let drawnMs = 0;

  const rebuild = () => {
    chart?.destroy();
    chart = lineCount > 0 ? build(host, traffic) : undefined;
    draw();
  };
  const draw = () => {
    drawnMs = performance.now();
    chart?.setData(dataOf(traffic));
  };
  traffic.sampled.subscribe(() => {
    if (traffic.rows.length !== lineCount) {
      lineCount = traffic.rows.length;
      rebuild();
    } else if (!calm.matches || performance.now() - drawnMs >= CALM_MS) {
      draw();
    }
  });
  themeChanged.subscribe(rebuild);
  new ResizeObserver(() => chart?.setSize(sizeOf(host))).observe(host);
}

function sizeOf(host: HTMLElement): { width: number; height: number } {
  return { width: host.clientWidth, height: host.clientHeight };
}

/** uPlot fills below each curve and draws the later ones above: the highest sum comes first. */
function topDown(traffic: Traffic): number[] {
  return traffic.rows.map(({ line }) => line.id).reverse();
}

function dataOf(traffic: Traffic): uPlot.AlignedData {
  const { times, sums } = traffic.history.stacked(traffic.rows.map(({ line }) => line.id));
  return [times, ...sums.map((sum) => sum.map((rate) => rate * BYTES_TO_MBIT)).reverse()];
}

function build(host: HTMLElement, traffic: Traffic): uPlot {
  const lines = topDown(traffic);
  const series = lines.map((line): uPlot.Series => ({
    label: lineName(line),
    stroke: colour(lineProperty(line)),
    fill: translucent(lineProperty(line), FILL_PERCENT),
    width: 1.5,
    points: { show: false },
  }));
  // Between two sums lies the line of the upper one; only the lowest reaches down to zero.
  const bands = lines.slice(1).map((_, index): uPlot.Band => ({ series: [index + 1, index + 2] }));
  return new uPlot(
    {
      ...sizeOf(host),
      series: [{}, ...series],
      bands,
      scales: {
        x: { time: false, range: () => [nowS() - WINDOW_S, nowS()] },
        y: { range: (_, __, max) => [0, Math.max(max * 1.1, LEAST_TOP_MBIT)] },
      },
      axes: [axis({ values: (_, splits) => splits.map(formatAgo), splits: everyQuarter, size: 24 }), axis({ size: 44 })],
      legend: { show: false },
      cursor: { show: false },
      padding: [24, 18, 0, 0],
      hooks: { drawClear: [(plot) => drawGaps(plot, traffic.marks)], draw: [(plot) => drawMarks(plot, traffic.marks)] },
    },
    dataOf(traffic),
    host,
  );
}

function axis(options: uPlot.Axis): uPlot.Axis {
  const line = { stroke: colour('--hairline'), width: 1 };
  return {
    stroke: colour('--muted'),
    font: '11px system-ui, sans-serif',
    grid: line,
    ticks: { ...line, size: 4 },
    gap: 4,
    ...options,
  };
}

/** The ticks stay where they are, at whole quarters of a minute ago. */
function everyQuarter(): number[] {
  const now = nowS();
  return Array.from({ length: WINDOW_S / TICK_S + 1 }, (_, index) => now - WINDOW_S + index * TICK_S);
}

function formatAgo(atS: number): string {
  const ago = Math.round(nowS() - atS);
  return ago <= 0 ? 'now' : `\u2212${ago} s`;
}

/** The times without any path, behind everything else. */
function drawGaps(plot: uPlot, marks: readonly Mark[]): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.fillStyle = translucent('--bad', 18);
  let since: number | undefined;
  const fill = (from: number, to: number) => {
    const [left, right] = [from, to].map((at) => Math.max(plot.valToPos(at, 'x', true), bbox.left));
    if (left !== undefined && right !== undefined) ctx.fillRect(left, bbox.top, right - left, bbox.height);
  };
  for (const { what, atS } of marks) {
    if (what === 'suspended') since ??= atS;
    if (what !== 'resumed' || since === undefined) continue;
    fill(since, atS);
    since = undefined;
  }
  if (since !== undefined) fill(since, nowS());
  ctx.restore();
}

const MARKS = { cut: { sign: '✂\uFE0E', colour: '--bad' }, restored: { sign: '↺\uFE0E', colour: '--good' } };

function drawMarks(plot: uPlot, marks: readonly Mark[]): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.fillStyle = colour('--muted');
  ctx.textAlign = 'left';
  ctx.fillText('Mbit/s', 4 * devicePixelRatio, 10 * devicePixelRatio);
  ctx.textAlign = 'center';
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
  for (const { what, atS, letters } of together(marks)) {
    const x = plot.valToPos(atS, 'x', true);
    ctx.strokeStyle = ctx.fillStyle = colour(MARKS[what].colour);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.fillText(MARKS[what].sign + letters, x, bbox.top - 5 * devicePixelRatio);
  }
  ctx.restore();
}

interface LineMark {
  what: keyof typeof MARKS;
  atS: number;
  letters: string;
}

/** The marks of lines that are on the chart; those of one moment are one. */
function together(marks: readonly Mark[]): LineMark[] {
  const found: LineMark[] = [];
  for (const { what, atS, line } of marks) {
    if (line === undefined || atS < nowS() - WINDOW_S || (what !== 'cut' && what !== 'restored')) continue;
    const last = found.at(-1);
    if (last?.what === what && atS - last.atS < SAME_S) last.letters += lineLetter(line);
    else found.push({ what, atS, letters: lineLetter(line) });
  }
  return found;
}
