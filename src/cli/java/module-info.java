/** The command line of Muonium. */
module dev.muonium.cli {
    requires jtokkit;
    requires dev.muonium;
    requires info.picocli;
    requires java.desktop;
    requires java.management;
    requires me.tongfei.progressbar;
    requires org.jspecify;
    requires tools.jackson.core;
    requires tools.jackson.databind;
    requires tools.jackson.dataformat.toml;
    requires xchart;

    opens dev.muonium.cli to
            info.picocli,
            tools.jackson.databind;
    opens dev.muonium.cli.report to
            tools.jackson.databind;
}
