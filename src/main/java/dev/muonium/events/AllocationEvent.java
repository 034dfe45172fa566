package dev.muonium.events;

import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import org.jspecify.annotations.Nullable;

/** Off-heap or device memory was allocated. */
@Name("dev.muonium.Allocation")
@Label("Allocation")
@Category("Muonium")
@Description("Memory outside the Java heap was allocated, as a ledger counts it")
@StackTrace(true)
public final class AllocationEvent extends Event {
    @Label("Purpose")
    @Description("What the memory is for")
    public @Nullable String purpose;

    @Label("Name")
    @Description("Name of the tensor")
    public @Nullable String name;

    @Label("Bytes")
    @Description("Bytes that were allocated")
    @DataAmount(DataAmount.BYTES)
    public long bytes;

    @Label("Total")
    @Description("Bytes that the ledger holds after it, in memory")
    @DataAmount(DataAmount.BYTES)
    public long total;

    AllocationEvent() {}
}
