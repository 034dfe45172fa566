package dev.muonium.ortho;

import dev.muonium.device.Matmul;

/** One task of a product: a matrix product on parts of the operands, with offsets in elements. */
record Tile(Matmul product, long aOffset, long bOffset, long cOffset) {}
