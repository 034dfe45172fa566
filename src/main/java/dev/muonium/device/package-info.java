/**
 * Devices: where memory is allocated and kernels and matrix products run; finding, loading and checking the native
 * libraries; the one pool of threads.
 */
@NullMarked
package dev.muonium.device;

import org.jspecify.annotations.NullMarked;
