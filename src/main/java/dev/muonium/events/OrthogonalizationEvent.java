package dev.muonium.events;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import org.jspecify.annotations.Nullable;

/** A Newton-Schulz iteration. */
@Name("dev.muonium.Orthogonalization")
@Label("Orthogonalization")
@Category("Muonium")
@Description(
        "A Newton-Schulz iteration over one matrix on a CPU, over the matrices of a batch on a GPU, where it is part"
                + " of a graph and has no duration of its own")
@StackTrace(false)
public final class OrthogonalizationEvent extends Event {
    @Label("Group")
    @Description("Parameter group")
    public @Nullable String group;

    @Label("Parameter")
    @Description("Name of the matrix; of a batch, of its first")
    public @Nullable String parameter;

    @Label("Matrices")
    @Description("Matrices that are worked on together")
    public long matrices;

    @Label("Rows")
    @Description("Rows of a matrix")
    public long rows;

    @Label("Columns")
    @Description("Columns of a matrix")
    public long cols;

    @Label("Way")
    @Description("How the iteration is evaluated")
    public @Nullable String way;

    @Label("Precision")
    @Description("Element type of the iterates")
    public @Nullable String precision;

    @Label("Fallback")
    @Description("True if the Gram iteration went wrong and the matrix was done again")
    public boolean fallback;

    OrthogonalizationEvent() {}
}
