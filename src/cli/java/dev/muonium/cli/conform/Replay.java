package dev.muonium.cli.conform;

import dev.muonium.checkpoint.Safetensors;
import dev.muonium.cli.UserMistake;
import dev.muonium.device.Device;
import java.util.List;
import java.util.Set;

/** Repeats what a recording holds with this build's own code and compares the results. */
public sealed interface Replay permits MuonReplay, AdamWReplay, NewtonSchulzReplay, Int8Replay {
    /**
     * Runs it.
     *
     * @return what was compared
     * @throws UserMistake if the recording lacks a tensor or a setting, or has it in another shape or type
     */
    List<Check> run(Device device);

    /**
     * The replay for a file, told by its tensors.
     *
     * @throws UserMistake if it is a recording of no known kind
     */
    static Replay of(Safetensors file) {
        Recording recording = new Recording(file);
        Set<String> names = recording.names();
        if (names.contains("gradients") && names.stream().anyMatch(name -> name.startsWith("exp_avg_"))) {
            return new AdamWReplay(recording);
        }
        if (names.contains("gradients") && names.stream().anyMatch(name -> name.startsWith("momentum_"))) {
            return new MuonReplay(recording);
        }
        if (names.stream().anyMatch(name -> name.endsWith(NewtonSchulzReplay.RESULT))) {
            return new NewtonSchulzReplay(recording);
        }
        if (names.stream().anyMatch(name -> name.endsWith(Int8Replay.CODES))) {
            return new Int8Replay(recording);
        }
        throw recording.mistake("is no recording that can be replayed: Muon's have the tensors 'gradients' and"
            + " 'momentum_STEPS_f64', AdamW's 'gradients' and 'exp_avg_STEPS', Newton-Schulz's 'NAME.input' and 'NAME"
                + NewtonSchulzReplay.RESULT + "', INT8's 'blockSIZE.input', '.codes' and '.scales'; this one has "
                + names);
    }
}
