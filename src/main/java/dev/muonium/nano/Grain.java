package dev.muonium.nano;

import dev.muonium.device.Device;

/** How the work of a model is cut into tasks. The results of both are the same but for the order in which products are added up. */
enum Grain {
    /** Pieces that stay in the cache of a core, enough of them for many workers. */
    TILES,
    /** One task for all rows, one for each matrix: for a device that divides the work itself and is asked for it call by call. */
    WHOLE;

    static Grain of(Device device) {
        return device.memory().isHost() ? TILES : WHOLE;
    }
}
