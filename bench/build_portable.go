//go:build !amd64 || purego

package bench

const vectorBuild = false
