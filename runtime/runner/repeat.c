/* repeat: inferences and nothing that varies, for counting instructions: no clock, no output between them. */
#include "runner.h"

void run_repeat(runner *runner)
{
    choose_inputs(runner);
    for (uint64_t i = 0; i < runner->options.runs; i++) {
        feed(runner);
        qb_session_run(runner->session);
    }
}
