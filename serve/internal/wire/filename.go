package wire

import (
	"mime"
	"mime/multipart"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/retainwise/millrace/serve/internal/fault"
	"golang.org/x/text/unicode/norm"
)

// FilenameBytesMax is the length at which filenames are truncated.
const FilenameBytesMax = 255

// CheckFilename checks the name of an uploaded file: its extension must be .csv, .csv.gz or .csv.zst, and it must contain
// only letters, digits, spaces, hyphens, underscores and points, and no folder. It returns the name as it is stored.
func CheckFilename(given string) (string, error) {
	lower := strings.ToLower(given)
	isFormat := func(format string) bool { return strings.HasSuffix(lower, "."+format) }
	if !slices.ContainsFunc(fault.AllowedFormats(), isFormat) {
		return "", fault.Fail(fault.CodeInvalidFile, "").
			With(fault.Details{"field": "filename", "filename": fault.Sanitize(given), "allowed_formats": fault.AllowedFormats()})
	}
	name := normalized(given)
	if suggestion := sanitized(name); suggestion != name {
		return "", fault.Fail(fault.CodeInvalidFile, "Filename contains invalid characters").
			With(fault.Details{"field": "filename", "filename": fault.Sanitize(given), "suggestion": fault.Sanitize(suggestion)})
	}
	return shortened(name), nil
}

// CleanFilename turns any filename into one that [CheckFilename] accepts, but for its extension.
func CleanFilename(given string) string { return shortened(sanitized(normalized(given))) }

// normalized converts a name to NFC and all spaces to plain ones, so that it is the same from every operating system.
func normalized(name string) string {
	return strings.Map(func(c rune) rune {
		if unicode.Is(unicode.Zs, c) {
			return ' '
		}
		return c
	}, norm.NFC.String(name))
}

// sanitized removes the folders of a name and replaces every character that is not allowed by an underscore.
func sanitized(name string) string {
	if name = path.Base(strings.ReplaceAll(name, `\`, "/")); name == "." || name == "/" {
		return "file"
	}
	return strings.Map(func(c rune) rune {
		if unicode.In(c, unicode.L, unicode.M, unicode.N) || strings.ContainsRune(" -_.", c) {
			return c
		}
		return '_'
	}, name)
}

// shortened truncates a name at its beginning to FilenameBytesMax.
func shortened(name string) string {
	for len(name) > FilenameBytesMax {
		_, size := utf8.DecodeRuneInString(name)
		name = name[size:]
	}
	return name
}

// FormFilename returns the filename of a form's part with its folders, which [multipart.Part.FileName] removes.
func FormFilename(part *multipart.Part) string {
	_, params, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	if err != nil {
		return part.FileName()
	}
	return params["filename"]
}
