module ml-serving-ci/pause

go 1.24
