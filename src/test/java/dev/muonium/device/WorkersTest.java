package dev.muonium.device;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The time limits are there to end a deadlock. */
@Timeout(120)
final class WorkersTest {
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 8})
    void doesEveryTaskOnceInManySmallRegions(int count) {
        try (Workers workers = Workers.create(count)) {
            int[] done = new int[37]; // plain: the caller must see what the workers wrote
            for (int region = 1; region <= 3_000; region++) {
                int tasks = region % done.length + 1;
                Arrays.fill(done, 0);

                workers.run(tasks, (task, worker) -> done[task]++);

                for (int task = 0; task < done.length; task++) {
                    assertEquals(task < tasks ? 1 : 0, done[task], "task " + task + " in region " + region);
                }
            }
        }
    }

    @Test
    void noWorkerDoesTwoTasksAtOnce() {
        try (Workers workers = Workers.create(4)) {
            AtomicIntegerArray busy = new AtomicIntegerArray(4);
            AtomicInteger collisions = new AtomicInteger();
            for (int region = 0; region < 200; region++) {
                workers.run(50, (task, worker) -> {
                    if (busy.getAndIncrement(worker) != 0) {
                        collisions.incrementAndGet();
                    }
                    Thread.onSpinWait();
                    busy.decrementAndGet(worker);
                });
            }
            assertEquals(0, collisions.get());
        }
    }

    @Test
    void allWorkersTakePart() {
        try (Workers workers = Workers.create(3)) {
            CountDownLatch together = new CountDownLatch(3);

            workers.run(3, (task, worker) -> {
                together.countDown();
                assertTrue(await(together), "worker " + worker + " was left alone");
            });
        }
    }

    /** Long enough for the helpers to have parked. */
    @Test
    void wakesParkedWorkers() throws InterruptedException {
        try (Workers workers = Workers.create(2)) {
            for (int i = 0; i < 5; i++) {
                Thread.sleep(20);
                CountDownLatch together = new CountDownLatch(2);
                workers.run(2, (task, worker) -> {
                    together.countDown();
                    assertTrue(await(together));
                });
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 3})
    void throwsWhatATaskThrewAndGoesOn(int count) {
        try (Workers workers = Workers.create(count)) {
            for (int region = 0; region < 300; region++) {
                RuntimeException thrown = new RuntimeException("task failed");
                int failing = region % 20;
                AtomicInteger after = new AtomicInteger();

                assertSame(
                        thrown,
                        assertThrows(
                                RuntimeException.class,
                                () -> workers.run(20, (task, worker) -> {
                                    if (task == failing) {
                                        throw thrown;
                                    }
                                    after.incrementAndGet();
                                })));
                assertTrue(after.get() <= 19);

                workers.run(20, (task, worker) -> after.incrementAndGet());
            }
            AssertionError error = new AssertionError("an Error comes through as well");
            assertSame(
                    error,
                    assertThrows(
                            AssertionError.class,
                            () -> workers.run(2, (task, worker) -> {
                                throw error;
                            })));
        }
    }

    @Test
    void startsNoFurtherTaskAfterAFailure() {
        try (Workers workers = Workers.create(1)) {
            List<Integer> started = new ArrayList<>();
            assertThrows(
                    IllegalStateException.class,
                    () -> workers.run(10, (task, worker) -> {
                        started.add(task);
                        if (task == 3) {
                            throw new IllegalStateException("stop");
                        }
                    }));
            assertEquals(List.of(0, 1, 2, 3), started);
        }
    }

    @Test
    void threadsTakeTurns() throws Exception {
        try (Workers workers = Workers.create(3);
                ExecutorService callers = Executors.newFixedThreadPool(4)) {
            AtomicInteger inside = new AtomicInteger();
            AtomicInteger regions = new AtomicInteger();
            List<Future<?>> results = new ArrayList<>();
            for (int caller = 0; caller < 4; caller++) {
                results.add(callers.submit(() -> {
                    for (int i = 0; i < 500; i++) {
                        int mine = regions.incrementAndGet();
                        workers.run(6, (task, worker) -> {
                            if (task == 0) {
                                assertEquals(1, inside.incrementAndGet(), "two regions at once, one of them " + mine);
                                inside.decrementAndGet();
                            }
                        });
                    }
                }));
            }
            for (Future<?> result : results) {
                result.get();
            }
            assertEquals(2_000, regions.get());
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 4})
    void aTaskThatUsesItsOwnPoolGetsASentence(int count) {
        try (Workers workers = Workers.create(count)) {
            // 4 tasks that wait for each other, so that with 4 workers each of them asks
            CountDownLatch together = new CountDownLatch(count);
            IllegalStateException nested = assertThrows(
                    IllegalStateException.class,
                    () -> workers.run(count, (task, worker) -> {
                        together.countDown();
                        assertTrue(await(together));
                        workers.run(2, (t, w) -> {});
                    }));
            assertTrue(nested.getMessage().startsWith("a task called run() of the workers that run it"));
            IllegalStateException closing =
                    assertThrows(IllegalStateException.class, () -> workers.run(4, (task, worker) -> close(workers)));
            assertTrue(closing.getMessage().startsWith("a task called close()"));
            workers.run(3, (task, worker) -> {}); // still usable
        }
    }

    @Test
    void aTaskMayUseAnotherPool() {
        try (Workers outer = Workers.create(2);
                Workers inner = Workers.create(2)) {
            AtomicInteger done = new AtomicInteger();
            outer.run(8, (task, worker) -> inner.run(8, (t, w) -> done.incrementAndGet()));
            assertEquals(64, done.get());
        }
    }

    @Test
    void refusesWorkAfterClose() {
        Workers workers = Workers.create(2);
        workers.close();
        workers.close();
        assertEquals(
                "the workers were used after they were closed",
                assertThrows(IllegalStateException.class, () -> workers.run(1, (task, worker) -> {}))
                        .getMessage());
    }

    @Test
    void closingEndsTheThreads() throws InterruptedException {
        ConcurrentHashMap<Thread, Boolean> threads = new ConcurrentHashMap<>();
        Workers workers = Workers.create(4);
        CountDownLatch together = new CountDownLatch(4);
        workers.run(4, (task, worker) -> {
            threads.put(Thread.currentThread(), true);
            together.countDown();
            assertTrue(await(together));
        });
        workers.close();
        threads.remove(Thread.currentThread());
        assertEquals(3, threads.size());
        for (Thread thread : threads.keySet()) {
            thread.join();
        }
    }

    @Test
    void worksOnTheThreadsOfAnExecutorAndLeavesThemAgain() throws Exception {
        try (ExecutorService executor = Executors.newFixedThreadPool(2)) {
            Workers workers = Workers.on(executor, 3);
            CountDownLatch together = new CountDownLatch(3);
            workers.run(3, (task, worker) -> {
                together.countDown();
                assertTrue(await(together));
            });
            workers.close();
            assertEquals(7, executor.submit(() -> 7).get());
        }
    }

    @Test
    void finishesWithFewerThreadsThanWorkers() {
        try (ExecutorService executor = Executors.newFixedThreadPool(1);
                Workers workers = Workers.on(executor, 4)) {
            for (int region = 0; region < 200; region++) {
                AtomicInteger done = new AtomicInteger();
                workers.run(10, (task, worker) -> done.incrementAndGet());
                assertEquals(10, done.get());
            }
        }
    }

    @Test
    void anInterruptedExecutorGoesOnUntilClose() throws InterruptedException {
        ExecutorService executor = Executors.newFixedThreadPool(1);
        try (Workers workers = Workers.on(executor, 2)) {
            executor.shutdownNow();
            for (int i = 0; i < 3; i++) {
                Thread.sleep(10);
                CountDownLatch together = new CountDownLatch(2);
                workers.run(2, (task, worker) -> {
                    together.countDown();
                    assertTrue(await(together));
                });
            }
            assertFalse(executor.isTerminated());
        }
        assertTrue(executor.awaitTermination(60, TimeUnit.SECONDS));
    }

    @Test
    void refusesExecutorsThatGiveNoThread() {
        assertTrue(assertThrows(IllegalArgumentException.class, () -> Workers.on(Runnable::run, 2))
                .getMessage()
                .contains("threads of their own"));
        assertEquals(
                "the executor refused the job of worker 1 of 2: full",
                assertThrows(
                                IllegalArgumentException.class,
                                () -> Workers.on(
                                        job -> {
                                            throw new RejectedExecutionException("full");
                                        },
                                        2))
                        .getMessage());
        assertThrows(IllegalArgumentException.class, () -> Workers.create(0));
    }

    /** As when the system has no further thread, which is an error and not an exception. */
    @Test
    void endsTheThreadsThatItStartedWhenOneMoreCannotBe() throws InterruptedException {
        List<Thread> started = new ArrayList<>();
        OutOfMemoryError none = new OutOfMemoryError("unable to create native thread");
        OutOfMemoryError failure = assertThrows(
                OutOfMemoryError.class,
                () -> Workers.on(
                        job -> {
                            if (started.size() == 2) {
                                throw none;
                            }
                            Thread thread = new Thread(job);
                            started.add(thread);
                            thread.setDaemon(true);
                            thread.start();
                        },
                        4));

        assertEquals(none, failure);
        for (Thread thread : started) {
            assertTrue(thread.join(Duration.ofSeconds(30)), "a worker was left");
        }
    }

    @Test
    void runsWithoutGarbage() {
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        try (Workers workers = Workers.create(2)) {
            int[] sums = new int[16];
            Task body = (task, worker) -> sums[task] += task;
            long least = Long.MAX_VALUE;
            for (int round = 0; round < 50 && least > 0; round++) {
                long before = threads.getCurrentThreadAllocatedBytes();
                for (int i = 0; i < 1_000; i++) {
                    workers.run(16, body);
                }
                least = Math.min(least, (threads.getCurrentThreadAllocatedBytes() - before) / 1_000);
            }
            assertEquals(0, least, "bytes of garbage per region");
        }
    }

    private static void close(AutoCloseable closeable) {
        try {
            closeable.close();
        } catch (RuntimeException e) {
            throw e;
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }

    private static boolean await(CountDownLatch latch) {
        try {
            return latch.await(60, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }
}
