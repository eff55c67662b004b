/* Who may use this device: one controller at a time, whatever host it runs on.
 *
 * The lease lives on the device, in one file that only runners write, each under flock: one line says who holds the
 * device now, another who has reserved it. A lease is known by its token, which nobody else knows; it ends at a
 * time of CLOCK_BOOTTIME, or with the boot it was granted in, so that no clock that somebody sets moves it.
 *
 *     leased   TOKEN EXPIRES_NS BOOT_ID HOLDER
 *     reserved TOKEN EXPIRES_NS BOOT_ID HOLDER
 */
#ifndef RUNNER_LEASE_H
#define RUNNER_LEASE_H

/* Fails with an error line where the environment names a lease (QB_LEASE=FILE:TOKEN) that this device is no longer
 * under. Asked before a mode begins and again before its result is declared whole: it fences off an owner that was
 * stopped for longer than its lease lasts. */
void check_fence(void);

#endif
