package serve

import (
	"net/http"
	"slices"
)

const get, post, put, remove = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete

// apiRoutes is every operation of the API. The OpenAPI document lists the same but for the assets of its own pages, and
// a test compares the two.
func apiRoutes() []route {
	return slices.Concat(fileRoutes(), predictionRoutes(), modelRoutes(), accountRoutes(), openRoutes())
}

// fileRoutes take a file, or lead to a place for one.
func fileRoutes() []route {
	return []route{
		{
			method: post, pattern: "/upload", handle: postUpload, limit: limitUpload, body: true,
			timeout: uploadTimeout,
			params: []string{
				"model", "filename", "dataset", "explain", "guard", "max_rejected", "max_rejected_percent",
				"experiment_group",
			},
		},
		{
			method: post, pattern: "/upload-links", handle: postUploadLink, limit: limitUpload,
			params: []string{"bytes", "filename", "model", "explain", "guard", "max_rejected", "max_rejected_percent"},
		},
		{
			method: post, pattern: "/upload-links/{id}/complete", handle: completeUpload, limit: limitUpload,
			timeout: scoreTimeout,
		},
		{
			method: post, pattern: "/score", handle: postScore, limit: limitScore, body: true,
			timeout: scoreTimeout,
			params: []string{
				"model", "filename", "explain", "format", "guard", "max_rejected", "max_rejected_percent",
			},
		},
		{
			method: post, pattern: "/validate", handle: postValidate, limit: limitScore, body: true,
			timeout: uploadTimeout, params: []string{"model", "filename"},
		},
		{
			method: post, pattern: "/outcomes", handle: postOutcomes, limit: limitUpload, body: true,
			timeout: uploadTimeout, params: []string{"filename"},
		},
	}
}

// predictionRoutes are about what became of an upload.
func predictionRoutes() []route {
	return []route{
		{
			method: get, pattern: "/predictions", handle: listPredictions, limit: limitDefault,
			params: []string{"limit", "skip", "cursor"},
		},
		{method: get, pattern: "/predictions/{id}", handle: getPrediction, limit: limitDefault},
		{
			method: get, pattern: "/predictions/{id}/download", handle: downloadResult, limit: limitDownload,
			timeout: uploadTimeout, params: []string{"format", "generation"},
		},
		{
			method: get, pattern: "/predictions/{id}/rejects", handle: downloadRejects, limit: limitDownload,
			timeout: uploadTimeout, params: []string{"format", "generation"},
		},
		{
			method: get, pattern: "/predictions/{id}/rows", handle: getRows, limit: limitDefault,
			params: []string{"limit", "cursor", "sort", "band", "explain", "generation"},
		},
		{
			method: get, pattern: "/predictions/{id}/events", handle: streamEvents, limit: limitDefault,
			timeout: eventsTimeout,
		},
		{method: post, pattern: "/predictions/{id}/cancel", handle: cancelPrediction, limit: limitDefault},
		{method: remove, pattern: "/predictions/{id}", handle: deletePrediction, limit: limitDefault},
	}
}

func modelRoutes() []route {
	return []route{
		{method: get, pattern: "/models", handle: listModels, limit: limitDefault},
		{method: get, pattern: "/models/{name}", handle: getModel, limit: limitDefault},
		{method: get, pattern: "/models/{name}/template.csv", handle: modelTemplate, limit: limitDefault},
	}
}

// accountRoutes are about the user; most are for somebody who has signed in, and not for access keys.
func accountRoutes() []route {
	return []route{
		{method: get, pattern: "/account", handle: getAccount, limit: limitDefault},
		{method: put, pattern: "/account", handle: putAccount, limit: limitDefault, session: true, body: true},
		{method: get, pattern: "/keys", handle: listAccessKeys, limit: limitDefault, session: true},
		{method: post, pattern: "/keys", handle: createAccessKey, limit: limitDefault, session: true, body: true},
		{method: remove, pattern: "/keys/{id}", handle: revokeAccessKey, limit: limitDefault, session: true},
		{method: remove, pattern: "/account", handle: deleteAccount, limit: limitDefault, session: true},
	}
}

// openRoutes need no token.
func openRoutes() []route {
	return []route{
		{method: get, pattern: "/csv-samples/saas", handle: sample("saas"), limit: limitDefault, open: true},
		{method: get, pattern: "/csv-samples/telecom", handle: sample("telecom"), limit: limitDefault, open: true},
		{method: get, pattern: "/errors", handle: listErrorPages, limit: limitDefault, open: true},
		{method: get, pattern: "/errors/{code}", handle: getErrorPage, limit: limitDefault, open: true},
		{method: get, pattern: "/", handle: getPage, limit: limitDefault, open: true},
		{method: get, pattern: "/page/{file}", handle: getPageFile, open: true, asset: true},
		{method: get, pattern: "/docs", handle: getDocs, limit: limitDefault, open: true},
		{method: get, pattern: "/docs/{file}", handle: getSwaggerFile, open: true, asset: true},
		{method: get, pattern: "/redoc", handle: getRedoc, limit: limitDefault, open: true},
		{method: get, pattern: "/redoc/{file}", handle: getRedocFile, open: true, asset: true},
		{method: get, pattern: "/openapi.json", handle: getOpenAPI, limit: limitDefault, open: true},
		{method: get, pattern: "/health", handle: getHealth, open: true},
		{method: get, pattern: "/ready", handle: getReady, open: true},
	}
}
