/* What recurrent ops have in common: products of weight matrices and vectors, in f32 or hybrid, the functions of cells,
 * and checks of their many inputs.
 *
 *     f32     sums[r] += Σ w·x, the sum by itself first, in the order of columns
 *     hybrid  x is quantized at run time with its own range, then sums[r] += float(Σ w·(q − z))·(s_w·s_x)
 *
 * The quantization is that of TFLite's recurrent kernels (portable_tensor_utils.cc), which is not that of its
 * convolutions (hybrid.h). round is half away from zero:
 *
 *     symmetric   s = max |x| / 127;  z = 0;  q = clamp(round(x · (127 / max |x|)), -127, 127)
 *     asymmetric  s = (high − low) / 255, [low, high] the range widened to hold 0;  z from the bound that loses least;
 *                 q = clamp(round(z + x · (1 / s)), -128, 127)
 */
#ifndef QB_RECURRENT_H
#define QB_RECURRENT_H

#include "kernel.h"

/* Functions of cells: QB_ACT_NONE … QB_ACT_RELU_N1_TO_1, and this. */
enum { QB_CELL_TANH = 4 };

typedef struct qb_matrix {
    const void *values; /* float, or int8 where the step is hybrid */
    int32_t rows, columns;
    float scale; /* hybrid */
} qb_matrix;

typedef struct qb_vector {
    const float *values;
    const int8_t *quantized; /* NULL in f32 */
    float scale;
    int32_t zero_point;
} qb_vector;

/* How a step reads its vectors: as they are, or quantized. */
typedef struct qb_vector_mode {
    bool hybrid, asymmetric;
} qb_vector_mode;

/* The node's arithmetic, f32 or hybrid, and its option for asymmetric inputs. */
qb_vector_mode qb_vector_mode_of(const qb_step *step, int asymmetric);

/* The vector of these values; `room` holds `count` bytes for them, quantized. */
qb_vector qb_vector_of(const float *values, int32_t count, qb_vector_mode mode, int8_t *room);

/* sums[r] += row r of the matrix · the vector */
void qb_matrix_accumulate(const qb_matrix *matrix, const qb_vector *vector, float *sums);

/* values[i] = function(values[i]) */
void qb_apply_cell_function(int function, float *values, int32_t count);

/* The functions below check input `index` of the step, and return false after qb_refuse. */

/* It is a matrix of rows × columns in the step's arithmetic. */
bool qb_matrix_input(qb_builder *builder, const qb_step *step, uint32_t index, int32_t rows, int32_t columns,
                     qb_matrix *matrix);

/* It has `count` floats, or is left out where that is allowed: then *values is NULL. */
bool qb_floats_input(qb_builder *builder, const qb_step *step, uint32_t index, size_t count, bool optional,
                     const float **values);

/* The same for weights that are used as floats: int8, if the step is hybrid, are dequantized here. */
bool qb_weights_input(qb_builder *builder, const qb_step *step, uint32_t index, size_t count, bool optional,
                      const float **values);

/* It is a variable of `count` values of this dtype. */
bool qb_state_input(qb_builder *builder, const qb_step *step, uint32_t index, size_t count, uint8_t dtype, void **values);

bool qb_check_cell_function(qb_builder *builder, const qb_step *step, int function);

static inline const qb_tensor *qb_input_or_null(const qb_step *step, uint32_t index)
{
    return index < step->in_count ? step->in[index] : NULL;
}

#endif
