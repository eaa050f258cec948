// The cost of any preload: a library that contains only its start files.
int nothing_in_here;
