// Package handlers turns HTTP requests into calls and answers: the API under /api/v1, the live stream, exports, health, and
// the pages (page_*.go). A handler parses, calls, chooses what to show, and returns an error; errors.go alone turns an
// error into a status and a text in the reader's language.
//
// It declares the interfaces it needs (service.go); package web implements them. It dials nothing, stores nothing, and
// starts no goroutine that outlives its request.
package handlers
