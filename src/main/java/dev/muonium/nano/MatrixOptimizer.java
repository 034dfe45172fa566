package dev.muonium.nano;

/** Which optimizer updates the matrices of the blocks. */
public enum MatrixOptimizer {
    /** Muon. */
    MUON,
    /** AdamW, with the matrices' own learning rate and weight decay. */
    ADAMW
}
