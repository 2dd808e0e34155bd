#pragma once
// Settings that the peers read from the environment when they load: the process tries the candidates in copies of
// itself, then starts again with the fastest.

namespace peers {

/// Returns in the process that carries the settings (or in a copy that only has to print a probe's figure and exit).
void restart_with_best_settings(int argc, char** argv);

}  // namespace peers
