/** The package's worker, in a world whose timers and network can be stopped. */
import './stop.js';
import '/worker.js';
