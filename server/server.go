// Package server is the daemon's face over HTTP: the API under /v1, its description in
// OpenAPI, keys, health and metrics. New gives it as an http.Handler over a host.Host,
// Serve listens; a Client asks one from elsewhere. Use it wherever programs or people
// start runs and look after them.
package server
