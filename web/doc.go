// Package web is the server: configuration, router, middleware, the manager of runs, and its life from start to an end in
// order. It joins what may not know each other: probes, rules, catalogue, guard, live runs and the archive. It alone
// starts goroutines that outlive a request, and each of them has ended when [Server.Run] returns.
package web
