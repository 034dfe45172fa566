package dev.muonium.jmh;

import dev.muonium.device.Device;

/** The devices that a benchmark's parameter names. */
final class Devices {
    private Devices() {}

    /** @param threads of a CPU */
    static Device open(String name, int threads) {
        return switch (name) {
            case "cpu" -> Device.cpu(threads);
            case "cuda" -> Device.cuda();
            default -> throw new IllegalArgumentException("there is no device '" + name + "'; use cpu or cuda");
        };
    }
}
