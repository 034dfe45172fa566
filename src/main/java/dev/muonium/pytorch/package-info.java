/**
 * Muonium under PyTorch's modules, through JavaCPP: {@link dev.muonium.pytorch.ModuleOptimizer} updates the parameters of a module where
 * PyTorch keeps them. Needs {@code org.bytedeco:pytorch} and its native libraries, which are optional dependencies of this library:
 * whoever trains with PyTorch has them. {@link dev.muonium.pytorch.PyTorch} says in a sentence what is missing.
 */
@NullMarked
package dev.muonium.pytorch;

import org.jspecify.annotations.NullMarked;
