CREATE ROLE engineer LOGIN PASSWORD 'bench' PURPOSES (service) MAY (define, write);
