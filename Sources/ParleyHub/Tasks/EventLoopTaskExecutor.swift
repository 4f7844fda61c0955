import NIOCore

/// Runs a task's steps on an event loop, so that between a socket and the database no thread has to be woken that is
/// neither of the two. What runs here must never block, nor compute for long.
final class EventLoopTaskExecutor: TaskExecutor {
    private let loop: any EventLoop

    init(_ loop: any EventLoop) { self.loop = loop }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
