/* What an owner of the device left running. */
#ifndef RUNNER_ORPHANS_H
#define RUNNER_ORPHANS_H

/* Kills every program that runs in this folder under a lease (QB_LEASE). Called by a new owner: nobody else's program
 * may run there any more, and what a controller left that was killed would take part in the next trial. */
void kill_orphans(void);

#endif
