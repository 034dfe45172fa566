package dev.muonium.optim;

/** What a parameter is in its model; decides which optimizer it goes to unless its group is named. */
public enum ParameterKind {
    /** A hidden matrix, for Muon. */
    MATRIX(true),
    /** Hidden matrices of one shape behind each other, as {@code experts × rows × cols}, for Muon: each is its own matrix. */
    STACK(true),
    /** A convolution's kernel, as {@code out × in × height × width}, for Muon: the matrix {@code out × (in·height·width)}. */
    CONVOLUTION(true),
    /** A table of rows that are looked up, for AdamW: its gradient is sparse by rows, and its rows are not a linear map. */
    EMBEDDING(false),
    /** The last matrix, which gives the logits, for AdamW. */
    HEAD(false),
    /** Gains, biases and everything else that is no matrix, for AdamW. */
    VECTOR(false);

    private final boolean forMuon;

    ParameterKind(boolean forMuon) {
        this.forMuon = forMuon;
    }

    /** Whether it goes to Muon unless its group is named. */
    public boolean isForMuon() {
        return forMuon;
    }
}
