/* mark: one inference to warm up, then one with a mark before each node and after the last, by which an instruction
 * counter tells the nodes apart. One mark more comes first: two with nothing between them show what a mark costs. */
#define _GNU_SOURCE

#include <sys/syscall.h>
#include <unistd.h>

#include "runner.h"

static void mark(void)
{
    syscall(SYS_getppid, QB_MARK);
}

void run_mark(runner *runner)
{
    const qb_session *session = runner->session;
    choose_inputs(runner);
    feed(runner);
    qb_session_run(runner->session);
    feed(runner);
    mark();
    for (uint32_t n = 0; n < session->model->node_count; n++) {
        mark();
        session->steps[n].run(&session->steps[n]);
    }
    mark();
}
