package dev.muonium.events;

import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import org.jspecify.annotations.Nullable;

/** A checkpoint was saved, opened or restored. */
@Name("dev.muonium.Checkpoint")
@Label("Checkpoint")
@Category("Muonium")
@Description("A checkpoint was saved, opened or restored")
@StackTrace(false)
public final class CheckpointEvent extends Event {
    @Label("Operation")
    @Description("save: written and forced to the disk; open: mapped and its checksums compared; restore: copied into"
            + " weights and optimizers")
    public @Nullable String operation;

    @Label("Step")
    @Description("Step of the checkpoint; -1 if it could not be read")
    public long step;

    @Label("Bytes")
    @Description("Bytes of its tensors")
    @DataAmount(DataAmount.BYTES)
    public long bytes;

    @Label("Background")
    @Description("True if training went on meanwhile")
    public boolean background;

    @Label("Failure")
    @Description("Why it failed; none if it did not")
    public @Nullable String failure;

    CheckpointEvent() {}
}
