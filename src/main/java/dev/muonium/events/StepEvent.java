package dev.muonium.events;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import org.jspecify.annotations.Nullable;

/** A step of an optimizer, taken or left out. */
@Name("dev.muonium.Step")
@Label("Optimizer Step")
@Category("Muonium")
@Description("A step of an optimizer, from the sweep over the gradients to the last updated weight")
@StackTrace(false)
public final class StepEvent extends Event {
    @Label("Step")
    @Description("Steps taken so far, this one included if it was taken")
    public long step;

    @Label("Taken")
    @Description("False if the step was left out")
    public boolean taken;

    @Label("Reason")
    @Description("Why the step was left out")
    public @Nullable String reason;

    @Label("Gradient Norm")
    @Description("Norm of all gradients together, after the gradient scale and before clipping")
    public double gradientNorm;

    @Label("Clip Factor")
    @Description("What gradients were multiplied by so that their norm does not exceed the limit")
    public double clipFactor;

    @Label("Parameters")
    @Description("Parameters that are not frozen")
    public int parameters;

    @Label("Fallbacks")
    @Description("Matrices whose Gram iteration went wrong and was done again")
    public int fallbacks;

    StepEvent() {}
}
