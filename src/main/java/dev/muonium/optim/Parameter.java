package dev.muonium.optim;

import dev.muonium.memory.DeviceMemory;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Segments;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Weights and their gradient, in memory that the caller owns and keeps alive: row-major, dense, off the heap, aligned to their
 * element type, FP32 or BF16 each, and not in a confined arena, because worker threads use it. Both lie where the optimizer's device
 * computes: memory of a GPU is checked when the parameter is added, and when another gradient was bound, in the next step. An optimizer updates the weights in
 * place and only reads the gradient. No weights may overlap the gradient or other weights; gradients may overlap each other.
 *
 * <p><b>Several matrices in one parameter.</b> Muon orthogonalizes each of {@link #matrices} by itself, with its own Frobenius norm, its own iteration and its own
 * adjustment of the learning rate: for a {@link #matrix} that is the whole, for a {@link #stack} each of its matrices, for a {@link #convolution} its kernel as
 * {@code out × (in·height·width)}. {@link #splitRows} and {@link #splitEvery} cut them further:
 *
 * <pre>{@code
 * Parameter.matrix("attn.qkv", weights, gradient, 768 + 256 + 256, 768).splitRows(768, 256, 256) // q, k, v: three matrices
 *         .splitEvery(64);                                                                       // or each head of 64 rows
 * Parameter.stack("mlp.gate_up", weights, gradient, experts, 2 * 1024, 768).splitRows(1024, 1024);
 * }</pre>
 *
 * Everything else stays that of the whole parameter: its name, its gradient, and its state, whose blocks of 8-bit codes are counted through it without regard to its matrices; so
 * states and checkpoints are the same however it is split. A block that reaches over a border of matrices is updated once, before both. AdamW works element by element: there a
 * split changes nothing.
 *
 * <p>The gradient can be bound anew before every step (which allocates nothing), the parameter frozen, and its learning rate
 * multiplied; the rest is fixed. Not thread-safe: change it between steps, on the thread that steps.
 */
public final class Parameter {
    /** Stands for the workers: any thread that is not the caller's. Never started. */
    private static final Thread SOME_WORKER = new Thread(() -> {});

    private final String name;
    private final ParameterKind kind;
    private final Shape shape;
    private final List<Shape> matrices;
    private final MemorySegment weights;
    private final ElementType weightType;
    private final @Nullable String group;
    private final String weightsLabel;
    private final String gradientLabel;
    private MemorySegment gradient;
    private ElementType gradientType;
    private boolean frozen;
    private double learningRateMultiplier = 1;

    private Parameter(
            String name,
            ParameterKind kind,
            Shape shape,
            List<Shape> matrices,
            MemorySegment weights,
            ElementType weightType,
            MemorySegment gradient,
            ElementType gradientType,
            @Nullable String group) {
        this.name = Ranges.requireName("the name of a parameter", name);
        this.kind = kind;
        this.shape = shape;
        this.matrices = matrices;
        requireFloat("weight", weightType);
        this.weightsLabel = name + " (weights)";
        Segments.requireOffHeapOrDevice(weightsLabel, weights, weightType, shape.elements(), true);
        requireShared(weightsLabel, weights);
        this.gradientLabel = name + " (gradient)";
        requireFloat("gradient", gradientType);
        Segments.requireOffHeapOrDevice(gradientLabel, gradient, gradientType, shape.elements(), false);
        requireShared(gradientLabel, gradient);
        this.weights = weights;
        this.weightType = weightType;
        requireApart(gradient, gradientType);
        this.gradient = gradient;
        this.gradientType = gradientType;
        this.group = group;
    }

    /** A hidden matrix, FP32. */
    public static Parameter matrix(String name, MemorySegment weights, MemorySegment gradient, long rows, long cols) {
        return f32(name, ParameterKind.MATRIX, Shape.of(rows, cols), weights, gradient);
    }

    /** An embedding, FP32. */
    public static Parameter embedding(
            String name, MemorySegment weights, MemorySegment gradient, long rows, long cols) {
        return f32(name, ParameterKind.EMBEDDING, Shape.of(rows, cols), weights, gradient);
    }

    /** A head, FP32. */
    public static Parameter head(String name, MemorySegment weights, MemorySegment gradient, long rows, long cols) {
        return f32(name, ParameterKind.HEAD, Shape.of(rows, cols), weights, gradient);
    }

    /** A vector, FP32. */
    public static Parameter vector(String name, MemorySegment weights, MemorySegment gradient, long length) {
        return f32(name, ParameterKind.VECTOR, Shape.of(length), weights, gradient);
    }

    /** A stack of {@code count} hidden matrices behind each other, each {@code rows × cols}, FP32: of experts, for example. */
    public static Parameter stack(
            String name, MemorySegment weights, MemorySegment gradient, long count, long rows, long cols) {
        return f32(name, ParameterKind.STACK, Shape.of(count, rows, cols), weights, gradient);
    }

    /** A convolution's kernel, {@code out × in × height × width}, FP32. */
    public static Parameter convolution(
            String name, MemorySegment weights, MemorySegment gradient, long out, long in, long height, long width) {
        return f32(name, ParameterKind.CONVOLUTION, Shape.of(out, in, height, width), weights, gradient);
    }

    /**
     * A parameter of any kind, shape and types.
     *
     * @throws IllegalArgumentException if the shape is not one of this kind, or the memory cannot be used; the sentence says why
     */
    public static Parameter of(
            String name,
            ParameterKind kind,
            Shape shape,
            MemorySegment weights,
            ElementType weightType,
            MemorySegment gradient,
            ElementType gradientType) {
        List<Shape> matrices = Matrices.of(name, kind, shape);
        return new Parameter(name, kind, shape, matrices, weights, weightType, gradient, gradientType, null);
    }

    /** A parameter over tensors, named as the weights are. The tensors stay the caller's and must outlive their use here. */
    public static Parameter of(ParameterKind kind, Tensor weights, Tensor gradient) {
        if (!weights.shape().equals(gradient.shape())) {
            throw new IllegalArgumentException("the weights of parameter '" + weights.name() + "' are "
                    + weights.shape() + " and its gradient is " + gradient.shape() + "; both must have the same shape");
        }
        return of(
                weights.name(),
                kind,
                weights.shape(),
                weights.segment(),
                weights.type(),
                gradient.segment(),
                gradient.type());
    }

    private static Parameter f32(
            String name, ParameterKind kind, Shape shape, MemorySegment weights, MemorySegment gradient) {
        return of(name, kind, shape, weights, ElementType.F32, gradient, ElementType.F32);
    }

    /** A copy that goes to the group of this name, whatever its kind. */
    public Parameter inGroup(String groupName) {
        return copy(matrices, groupName);
    }

    /**
     * A copy each of whose {@link #matrices} is cut into these ranges of rows: {@code splitRows(q, k, v)} for a fused QKV matrix of {@code (q + k + v) × d}. Columns cannot be
     * split: store the transposed matrix.
     *
     * @param rows of each piece, in the order of memory; together the rows of each matrix
     * @throws IllegalArgumentException if they are not, one is below 1, or this is no matrix
     */
    public Parameter splitRows(long... rows) {
        return copy(Matrices.split(this, rows), group);
    }

    /**
     * A copy each of whose {@link #matrices} is cut into pieces of as many rows: into heads, for example.
     *
     * @param rows of each piece; divides the rows of each matrix
     * @throws IllegalArgumentException if it does not, or this is no matrix
     */
    public Parameter splitEvery(long rows) {
        return copy(Matrices.splitEvery(this, rows), group);
    }

    private Parameter copy(List<Shape> newMatrices, @Nullable String newGroup) {
        Parameter copy =
                new Parameter(name, kind, shape, newMatrices, weights, weightType, gradient, gradientType, newGroup);
        copy.frozen = frozen;
        copy.learningRateMultiplier = learningRateMultiplier;
        return copy;
    }

    /**
     * Binds another gradient of the same element type; allocates nothing.
     *
     * @throws IllegalArgumentException if it is on the heap, misaligned or too small, or overlaps the weights
     */
    public Parameter gradient(MemorySegment newGradient) {
        Segments.requireOffHeapOrDevice(gradientLabel, newGradient, gradientType, shape.elements(), false);
        requireShared(gradientLabel, newGradient);
        requireApart(newGradient, gradientType);
        gradient = newGradient;
        return this;
    }

    /** Binds another gradient of another element type; allocates nothing. */
    public Parameter gradient(MemorySegment newGradient, ElementType type) {
        requireFloat("gradient", type);
        Segments.requireOffHeapOrDevice(gradientLabel, newGradient, type, shape.elements(), false);
        requireShared(gradientLabel, newGradient);
        requireApart(newGradient, type);
        gradient = newGradient;
        gradientType = type;
        return this;
    }

    /** Takes the parameter out of the steps to come (true) or back in; its state is kept. */
    public Parameter frozen(boolean value) {
        frozen = value;
        return this;
    }

    /** Multiplies the group's learning rate for this parameter; 1 by default. */
    public Parameter learningRateMultiplier(double value) {
        learningRateMultiplier =
                Ranges.requireNotNegative("the learning-rate multiplier of parameter '" + name + "'", value);
        return this;
    }

    /** The name; unique within an optimizer. */
    public String name() {
        return name;
    }

    /** What it is in its model. */
    public ParameterKind kind() {
        return kind;
    }

    /** Its extents. */
    public Shape shape() {
        return shape;
    }

    /** The matrices {@code rows × cols} that Muon orthogonalizes, each by itself, in the order of memory; none if it is of a shape that Muon does not update. */
    public List<Shape> matrices() {
        return matrices;
    }

    /** The caller's weights. */
    public MemorySegment weights() {
        return weights;
    }

    /** The element type of the weights. */
    public ElementType weightType() {
        return weightType;
    }

    /** The gradient that is bound now. */
    public MemorySegment gradient() {
        return gradient;
    }

    /** The element type of the gradient. */
    public ElementType gradientType() {
        return gradientType;
    }

    /** The group that was asked for, or null to go by kind. */
    public @Nullable String group() {
        return group;
    }

    /** Whether steps leave it alone. */
    public boolean isFrozen() {
        return frozen;
    }

    /** What the group's learning rate is multiplied by. */
    public double learningRateMultiplier() {
        return learningRateMultiplier;
    }

    long weightsBegin() {
        return weights.address();
    }

    long weightsEnd() {
        return weights.address() + shape.elements() * weightType.byteSize();
    }

    long gradientBegin() {
        return gradient.address();
    }

    long gradientEnd() {
        return gradient.address() + shape.elements() * gradientType.byteSize();
    }

    private void requireApart(MemorySegment ownGradient, ElementType type) {
        long begin = ownGradient.address();
        if (begin < weightsEnd() && weightsBegin() < begin + shape.elements() * type.byteSize()) {
            throw gradientInWeights(name, name);
        }
    }

    /** Two parameters may share a gradient, which is only read, but neither may read or write what the other writes. */
    void requireApart(Parameter other) {
        if (weightsBegin() < other.weightsEnd() && other.weightsBegin() < weightsEnd()) {
            throw new IllegalArgumentException("the weights of parameters '" + name + "' and '" + other.name
                    + "' overlap in memory; weights that are shared are one parameter, whose gradient is the sum");
        }
        if (gradientBegin() < other.weightsEnd() && other.weightsBegin() < gradientEnd()) {
            throw gradientInWeights(name, other.name);
        }
        if (other.gradientBegin() < weightsEnd() && weightsBegin() < other.gradientEnd()) {
            throw gradientInWeights(other.name, name);
        }
    }

    static IllegalArgumentException gradientInWeights(String gradientOf, String weightsOf) {
        return new IllegalArgumentException("the gradient of parameter '" + gradientOf
                + "' and the weights of parameter '" + weightsOf
                + "' overlap in memory, and a step reads the one while it writes the other; give each memory"
                + " of its own");
    }

    private static void requireShared(String label, MemorySegment segment) {
        if (!segment.isAccessibleBy(SOME_WORKER)) {
            throw new IllegalArgumentException(
                    "'" + label + "' lies in a confined arena, which only one thread may use; the"
                            + " optimizer's workers need memory of Arena.ofShared(), ofAuto() or global()");
        }
    }

    private void requireFloat(String what, ElementType type) {
        if (type != ElementType.F32 && type != ElementType.BF16) {
            throw new IllegalArgumentException("the " + what + " of parameter '" + name + "' has the element type "
                    + type + "; it must be F32 or BF16");
        }
    }

    /** Checks that weights and gradient are still there, before a step changes anything. */
    void requireAlive() {
        Segments.requireOffHeapOrDevice(name, weights, weightType, shape.elements(), false);
        Segments.requireOffHeapOrDevice(gradientLabel, gradient, gradientType, shape.elements(), false);
    }

    /** Checks that weights and gradient are memory of a device, large enough; only the device can tell that of its own. */
    void requireOn(DeviceMemory memory) {
        memory.requireWritable(weightsLabel, weights, weightType, shape.elements());
        memory.requireReadable(gradientLabel, gradient, gradientType, shape.elements());
    }

    /** For example {@code blocks.0.attn.q MATRIX 768×768}. */
    @Override
    public String toString() {
        return name + " " + kind + " " + shape;
    }
}
