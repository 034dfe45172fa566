/** The command line of Muonium. */
module dev.muonium.cli {
    requires dev.muonium;
    requires info.picocli;

    opens dev.muonium.cli to
            info.picocli;
}
