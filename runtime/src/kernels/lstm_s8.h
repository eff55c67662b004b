/* UnidirectionalSequenceLstm with 8-bit activations and weights and a cell of 16 bits. */
#ifndef QB_LSTM_S8_H
#define QB_LSTM_S8_H

#include "kernel.h"

bool qb_prepare_lstm_s8(qb_builder *builder, qb_step *step);

#endif
