package dev.muonium.events;

import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import org.jspecify.annotations.Nullable;

/** Optimizer state was copied between the places that keep it. */
@Name("dev.muonium.OffloadCopy")
@Label("Offload Copy")
@Category("Muonium")
@Description("Optimizer state was copied between where it is kept and where it is worked on")
@StackTrace(false)
public final class OffloadCopyEvent extends Event {
    @Label("Direction")
    @Description(
            "mapping to staging, staging to mapping (page-locked memory), mapping to disk, host to device, device to"
                    + " host")
    public @Nullable String direction;

    @Label("Bytes")
    @Description(
            "Bytes that were copied; between host and device those of a step, whose copies are part of its graph and"
                    + " have no duration of their own")
    @DataAmount(DataAmount.BYTES)
    public long bytes;

    OffloadCopyEvent() {}
}
