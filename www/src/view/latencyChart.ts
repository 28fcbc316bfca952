/** The histogram of latencies, on a logarithmic scale. */

import uPlot from 'uplot';
import type { LatencyHistogram } from '../logic/histogram.js';
import { colour, translucent } from './colours.js';
import { part } from './parts.js';
import { themeChanged } from './theme.js';

/** Where the scale is labelled, if it reaches as far. */
const TICKS_MS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000];
/** The room that a label needs. */
const TICK_PX = 52;
/** What the scale shows before there is anything, and at least. */
const LEAST_RANGE: [number, number] = [Math.log10(5), Math.log10(200)];

/** Returns how to draw it anew. */
export function mountLatencyChart(histogram: LatencyHistogram): () => void {
  const host = part('ping-chart');
  let chart = build(host, histogram);
  themeChanged.subscribe(() => {
    chart.destroy();
    chart = build(host, histogram);
  });
  new ResizeObserver(() => chart.setSize({ width: host.clientWidth, height: host.clientHeight })).observe(host);
  return () => chart.setData(dataOf(histogram));
}

/** The bars stand at the logarithms of their lower ends, so that all are as wide. */
function dataOf(histogram: LatencyHistogram): uPlot.AlignedData {
  const bars = histogram.bars();
  return [bars.map(({ fromMs }) => Math.log10(fromMs)), bars.map(({ count }) => count)];
}

function rangeOf(histogram: LatencyHistogram): [number, number] {
  const bars = histogram.bars();
  const [first, last] = [bars[0], bars.at(-1)];
  if (!first || !last) return LEAST_RANGE;
  return [
    Math.min(LEAST_RANGE[0], Math.log10(first.fromMs)),
    Math.max(LEAST_RANGE[1], Math.log10(last.toMs)),
  ];
}

function build(host: HTMLElement, histogram: LatencyHistogram): uPlot {
  const bars = uPlot.paths.bars?.({ size: [0.86, 60], align: 1 });
  const line = { stroke: colour('--hairline'), width: 1 };
  const axis: uPlot.Axis = {
    stroke: colour('--muted'),
    font: '11px system-ui, sans-serif',
    grid: line,
    ticks: { ...line, size: 4 },
    gap: 4,
  };
  return new uPlot(
    {
      width: host.clientWidth,
      height: host.clientHeight,
      series: [
        {},
        {
          stroke: colour('--accent'),
          fill: translucent('--accent', 55),
          width: 1,
          points: { show: false },
          ...(bars && { paths: bars }),
        },
      ],
      scales: {
        x: { time: false, range: () => rangeOf(histogram) },
        y: { range: (_, __, max) => [0, Math.max(max * 1.1, 5)] },
      },
      axes: [
        {
          ...axis,
          size: 24,
          grid: { show: false },
          splits: (plot) => ticksWithin(...rangeOf(histogram), plot.bbox.width / devicePixelRatio),
          values: (_, splits) => splits.map(formatTick),
        },
        { ...axis, size: 44 },
      ],
      legend: { show: false },
      cursor: { show: false },
      padding: [8, 22, 0, 0],
    },
    dataOf(histogram),
    host,
  );
}

/** As many labels as there is room for: those of 1, 2, 5 and so on, or the powers of ten. */
function ticksWithin(from: number, to: number, widthPx: number): number[] {
  const ticks = TICKS_MS.map(Math.log10).filter((tick) => tick >= from && tick <= to);
  // From 1 to 2 it is 0.3 of a decade.
  const hasRoom = (0.3 * widthPx) / (to - from) > TICK_PX;
  return hasRoom ? ticks : ticks.filter((tick) => Math.abs(tick - Math.round(tick)) < 0.01);
}

function formatTick(tick: number): string {
  const ms = 10 ** tick;
  return ms >= 999 ? `${Math.round(ms / 1000)} s` : `${Number(ms.toPrecision(1))} ms`;
}
