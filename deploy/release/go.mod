module github.com/retainwise/millrace/deploy/release

go 1.26.0
