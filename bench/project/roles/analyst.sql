CREATE ROLE analyst LOGIN PASSWORD 'bench' PURPOSES (analytics) MAY (segment);
