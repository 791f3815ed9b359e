package serve

// Values of Cache-Control. Vary names Authorization on every answer, so that no cache gives one user's to another.
const (
	// cacheNot lets a client keep an answer but not use it without asking: most have an ETag to ask with.
	cacheNot = "private, no-cache"
	// cacheAccount is how long a user's own settings may be taken for current.
	cacheAccount = "private, max-age=30"
)
