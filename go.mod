module github.com/sodahttp/sodahttp

go 1.26.0
