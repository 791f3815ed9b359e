package api

import (
	"net/http"
	"slices"

	"github.com/retainwise/millrace/serve/internal/limit"
)

const get, post, put, remove = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete

// Routes returns every operation of the API. A test compares it with the OpenAPI document, which lists all but the assets
// of pages.
func Routes() []route {
	return slices.Concat(fileRoutes(), predictionRoutes(), modelRoutes(), accountRoutes(), openRoutes())
}

// fileRoutes receive a file, or create a link for one.
func fileRoutes() []route {
	return []route{
		{
			Method: post, Pattern: "/upload", handle: postUpload, Limit: limit.Upload, Body: true,
			timeout: uploadTimeout,
			Params: []string{
				"model", "filename", "dataset", "explain", "guard", "decimal", "thousands", "max_rejected", "max_rejected_percent",
				"allow_rejects", "column_check", "experiment_group",
			},
			Fields: []string{"model", "dataset", "experiment_group"},
		},
		{
			Method: post, Pattern: "/upload-links", handle: postUploadLink, Limit: limit.Upload,
			Params: []string{
				"bytes", "filename", "model", "explain", "guard", "decimal", "thousands", "max_rejected", "max_rejected_percent",
				"allow_rejects", "column_check",
			},
		},
		{
			Method: post, Pattern: "/upload-links/{id}/complete", handle: completeUpload, Limit: limit.Upload,
			timeout: scoreTimeout,
		},
		{
			Method: post, Pattern: "/score", handle: postScore, Limit: limit.Score, Body: true,
			timeout: scoreTimeout,
			Params: []string{
				"model", "filename", "explain", "format", "guard", "decimal", "thousands", "max_rejected", "max_rejected_percent",
				"column_check",
			},
			Fields: []string{"model"},
		},
		{
			Method: post, Pattern: "/validate", handle: postValidate, Limit: limit.Score, Body: true,
			timeout: uploadTimeout, Params: []string{"model", "filename", "decimal", "thousands", "column_check"},
			Fields: []string{"model", "dataset", "experiment_group"}, // the form of an upload, as it is
		},
		{
			Method: post, Pattern: "/outcomes", handle: postOutcomes, Limit: limit.Upload, Body: true,
			timeout: uploadTimeout, Params: []string{"filename"},
		},
	}
}

// predictionRoutes read, cancel and delete predictions.
func predictionRoutes() []route {
	return []route{
		{
			Method: get, Pattern: "/predictions", handle: listPredictions, Limit: limit.Default,
			Params: []string{"limit", "skip", "cursor"},
		},
		{Method: get, Pattern: "/predictions/{id}", handle: getPrediction, Limit: limit.Default},
		{
			Method: get, Pattern: "/predictions/{id}/download", handle: downloadResult, Limit: limit.Download,
			timeout: uploadTimeout, Params: []string{"format", "generation"},
		},
		{
			Method: get, Pattern: "/predictions/{id}/rejects", handle: downloadRejects, Limit: limit.Download,
			timeout: uploadTimeout, Params: []string{"format", "generation"},
		},
		{
			Method: get, Pattern: "/predictions/{id}/rows", handle: getRows, Limit: limit.Default,
			Params: []string{"limit", "cursor", "sort", "band", "explain", "generation"},
		},
		{
			Method: get, Pattern: "/predictions/{id}/events", handle: streamEvents, Limit: limit.Default,
			timeout: eventsTimeout,
		},
		{Method: post, Pattern: "/predictions/{id}/cancel", handle: cancelPrediction, Limit: limit.Default},
		{Method: remove, Pattern: "/predictions/{id}", handle: deletePrediction, Limit: limit.Default},
	}
}

func modelRoutes() []route {
	return []route{
		{Method: get, Pattern: "/models", handle: listModels, Limit: limit.Default},
		{Method: get, Pattern: "/models/{name}", handle: getModel, Limit: limit.Default},
		{
			Method: get, Pattern: "/models/{name}/health", handle: modelHealth, Limit: limit.Default,
			Params: []string{"dataset", "from", "to"},
		},
		{Method: get, Pattern: "/models/{name}/template.csv", handle: modelTemplate, Limit: limit.Default},
	}
}

// accountRoutes are about the user's account and access keys; most refuse access keys.
func accountRoutes() []route {
	return []route{
		{Method: get, Pattern: "/account", handle: getAccount, Limit: limit.Default},
		{Method: put, Pattern: "/account", handle: putAccount, Limit: limit.Default, session: true, Body: true},
		{Method: get, Pattern: "/keys", handle: listAccessKeys, Limit: limit.Default, session: true},
		{Method: post, Pattern: "/keys", handle: createAccessKey, Limit: limit.Default, session: true, Body: true},
		{Method: remove, Pattern: "/keys/{id}", handle: revokeAccessKey, Limit: limit.Default, session: true},
		{Method: remove, Pattern: "/account", handle: deleteAccount, Limit: limit.Default, session: true},
	}
}

// openRoutes need no token.
func openRoutes() []route {
	return []route{
		{Method: get, Pattern: "/csv-samples/saas", handle: sample("saas"), Limit: limit.Default, Open: true},
		{Method: get, Pattern: "/csv-samples/telecom", handle: sample("telecom"), Limit: limit.Default, Open: true},
		{Method: get, Pattern: "/errors", handle: listErrorPages, Limit: limit.Default, Open: true, page: true},
		{Method: get, Pattern: "/errors/{code}", handle: getErrorPage, Limit: limit.Default, Open: true, page: true},
		{Method: get, Pattern: "/", handle: getPage, Limit: limit.Default, Open: true, page: true},
		{Method: get, Pattern: "/page/{file}", handle: getPageFile, Limit: limit.Asset, Open: true, Asset: true},
		{Method: get, Pattern: "/docs", handle: getDocs, Limit: limit.Default, Open: true, page: true},
		{Method: get, Pattern: "/docs/{file}", handle: getSwaggerFile, Limit: limit.Asset, Open: true, Asset: true},
		{Method: get, Pattern: "/redoc", handle: getRedoc, Limit: limit.Default, Open: true, page: true},
		{Method: get, Pattern: "/redoc/{file}", handle: getRedocFile, Limit: limit.Asset, Open: true, Asset: true},
		{Method: get, Pattern: "/openapi.json", handle: getOpenAPI, Limit: limit.Default, Open: true},
		{Method: get, Pattern: "/health", handle: getHealth, Open: true, probe: true},
		{Method: get, Pattern: "/ready", handle: getReady, Open: true, probe: true},
	}
}
