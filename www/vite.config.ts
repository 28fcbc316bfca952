import { defineConfig } from 'vite';

export default defineConfig({
  // The page may lie anywhere: every address in it is relative.
  base: './',
  // Browsers with WebTransport, except for those that are a few versions behind.
  build: { target: 'es2022', cssTarget: ['chrome123', 'firefox120', 'safari17.5'], assetsInlineLimit: 0 },
  worker: { format: 'es' },
  // The package finds its worker and its module next to itself, where they are.
  optimizeDeps: { exclude: ['kwik-transport'] },
});
