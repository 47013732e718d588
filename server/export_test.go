package server

// Routes are the methods and paths that an API with everything serves.
func Routes() (out [][3]string) {
	for _, r := range routes() {
		out = append(out, [3]string{r.method, r.path, string(r.scope)})
	}
	return out
}

// OpenAPI returns the description of the API.
func OpenAPI() []byte { return openapi }
