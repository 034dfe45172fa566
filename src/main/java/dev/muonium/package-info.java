/**
 * What every room shares: the exceptions of Muonium, and what it tells of itself.
 *
 * <h2>Events for the Flight Recorder</h2>
 * A recording of the JDK's Flight Recorder ({@code -XX:StartFlightRecording=filename=run.jfr}, {@code jcmd PID JFR.start}, or {@code jdk.jfr.Recording}) has the
 * events of this table, under the category Muonium; {@code jfr print --events "dev.muonium.*" run.jfr} prints them. All are on unless the recording's settings say otherwise.
 * While nobody records, they cost a look at a flag, and a step allocates nothing for them. A JVM without the module {@code jdk.jfr} has no events.
 *
 * <table border="1">
 * <caption>Events, and what they tell beside time, duration and thread</caption>
 * <tr><th>event</th><th>of</th><th>fields</th></tr>
 * <tr><td>{@code dev.muonium.Step}</td><td>a step of an optimizer, taken or left out</td><td>{@code step}: steps taken, this one included if it was; {@code
 * taken}; {@code reason} where it was left out; {@code gradientNorm}, after the gradient scale and before clipping; {@code clipFactor}; {@code parameters} that are not
 * frozen; {@code fallbacks}</td></tr>
 * <tr><td>{@code dev.muonium.Orthogonalization}</td><td>on a CPU a matrix of Muon; on a GPU a batch, as part of a graph and so without a duration</td><td>{@code
 * group}; {@code parameter}, of a batch its first; {@code matrices}; {@code rows}, {@code cols}; {@code way} of evaluating; {@code precision}; {@code fallback}: it went
 * wrong by the Gram matrix and was done again</td></tr>
 * <tr><td>{@code dev.muonium.Allocation}, {@code dev.muonium.Free}</td><td>memory that a ledger counts, without a duration</td><td>{@code purpose}, as {@link
 * dev.muonium.memory.Purpose} calls it; {@code name}; {@code bytes}; {@code total}: what the ledger holds in memory after it. The allocation has its stack
 * trace</td></tr>
 * <tr><td>{@code dev.muonium.Checkpoint}</td><td>a checkpoint</td><td>{@code operation}: {@code save} (written and forced to the disk), {@code open} (mapped, its
 * checksums compared) or {@code restore} (copied into weights and optimizers); {@code step}; {@code bytes} of its tensors; {@code background}: training went on
 * meanwhile; {@code failure} if it failed</td></tr>
 * <tr><td>{@code dev.muonium.OffloadCopy}</td><td>optimizer state on its way between where it is kept and where it is worked on</td><td>{@code direction}: {@code
 * mapping to disk}; for a GPU also {@code mapping to staging} and {@code staging to mapping} (page-locked memory), and {@code host to device} and {@code device to
 * host}, once per step and direction, as parts of a graph and so without a duration; {@code bytes}</td></tr>
 * </table>
 */
@NullMarked
package dev.muonium;

import org.jspecify.annotations.NullMarked;
