package dev.muonium.jmh;

/** Turns that followed upon one another; {@code keller} is {@code standard} where the default policy is Keller's five steps. */
record Round(Turn peer, Turn standard, Turn keller) {}
