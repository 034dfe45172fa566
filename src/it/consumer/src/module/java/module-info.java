/** A program that embeds Muonium, as a module. */
module example.consumer {
    requires dev.muonium;
}
