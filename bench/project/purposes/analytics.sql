CREATE PURPOSE analytics LEGAL BASIS consent;
