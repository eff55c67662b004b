/* quantbench's runtime: runs a model file (.qbm, see format.def) on one core.
 *
 *     qb_error error;
 *     qb_model *model = qb_model_open("model.qbm", &error);
 *     qb_session *session = model ? qb_session_create(model, NULL, &error) : NULL;
 *     if (session == NULL) { fprintf(stderr, "%s\n", error.text); return 2; }
 *     qb_view input = qb_session_input(session, 0), output = qb_session_output(session, 0);
 *     memcpy(input.data, pixels, input.size);
 *     qb_session_run(session);
 *     … output.data …
 *
 * Inputs must be written before every run: their memory is used again for later activations. A session belongs to one
 * thread; several sessions may share a model, which must outlive them.
 */
#ifndef QUANTBENCH_H
#define QUANTBENCH_H

#include <stddef.h>
#include <stdint.h>

#define QB_VERSION "1"

typedef struct qb_model qb_model;
typedef struct qb_session qb_session;

/* Why something was refused: one line that names the thing. */
typedef struct qb_error {
    char text[512];
} qb_error;

/* An input or output of a session. dtype is a QB_F32, QB_S8, … of format.def; dims beyond rank are 1.
 * real value = (q − zero_point) · scale; scale is 0 where the tensor is not quantized. */
typedef struct qb_view {
    const char *name;
    int dtype;
    int rank;
    int32_t dims[6];
    void *data;
    size_t size; /* bytes */
    float scale;
    int32_t zero_point;
} qb_view;

/* Maps a model file read-only and checks all of it but its constants. NULL, with *error filled in, where it cannot be
 * used. */
qb_model *qb_model_open(const char *path, qb_error *error);
void qb_model_close(qb_model *model);

/* Allocates the arena, checks the constants and prepares every node. `isa` forces an ISA variant by name; NULL or ""
 * chooses the best. */
qb_session *qb_session_create(const qb_model *model, const char *isa, qb_error *error);
void qb_session_destroy(qb_session *session);

uint32_t qb_session_input_count(const qb_session *session);
uint32_t qb_session_output_count(const qb_session *session);
qb_view qb_session_input(const qb_session *session, uint32_t index);
qb_view qb_session_output(const qb_session *session, uint32_t index);

/* Sets the state that a recurrent model keeps between inferences back to where it began. */
void qb_session_reset(qb_session *session);

/* One inference. */
void qb_session_run(qb_session *session);

#endif
